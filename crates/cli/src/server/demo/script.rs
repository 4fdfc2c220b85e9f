//! What the demonstration prints: lines of shell to paste into another terminal.

use std::fmt::Write as _;
use std::path::Path;

use strongroom_model::Rng;

use crate::exit::Failure;
use crate::server::demo::world::World;

/// The lines. Everything but the lines that do something is a comment, so that all of it can be
/// pasted at once.
pub(super) fn lines(
    address: &str,
    folder: &Path,
    world: &World,
    rng: &dyn Rng,
) -> Result<String, Failure> {
    let mut key = [0; 16];
    rng.fill(&mut key)?;
    let key = data_encoding::BASE64URL_NOPAD.encode(&key);
    let program = std::env::current_exe()
        .map_or_else(|_| "strongroom".to_owned(), |path| path.display().to_string());
    let (Some(first), Some(second)) = (world.tenants.first(), world.tenants.get(1)) else {
        return Err(Failure::local("the demonstration has no tenants"));
    };
    let mut text = String::new();
    let failed = |_| Failure::local("the lines cannot be written");
    write!(
        text,
        r"# ==========================================================================
#  STRONGROOM DEMO — NOT FOR REAL DATA
#  The people are made up, the tokens stand below for everybody to read, and
#  the keys lie beside the data. Never put a real person's data in here.
# ==========================================================================
#
#  Server:  {address}
#  Operator's token, which makes tenants: {operator}
",
        operator = folder.join("operator.token").display(),
    )
    .map_err(failed)?;
    for tenant in &world.tenants {
        write!(
            text,
            "#  Tenant:  {} ({}), {} customers, two orders each\n#    owner    {}\n#    manager  {}\n#    clerk    {}\n",
            tenant.name,
            tenant.id,
            tenant.people,
            tenant.owner.expose(),
            tenant.manager.expose(),
            tenant.clerk.expose(),
        )
        .map_err(failed)?;
    }
    write!(
        text,
        r#"#
#  Paste the following into another terminal, all at once or line by line.

STRONGROOM={program}; FOLDER={folder}
CUSTOMERS={address}/v1/tenants/{tenant}/collections/customers/records
ERASURES={address}/v1/tenants/{tenant}/erasures
OWNER={owner}
MANAGER={manager}
CLERK={clerk}
STRANGER={stranger}

# 1. One record through two classes. The clerk sees masks and no birth date:
curl -sS -w '\n' -H "Authorization: Bearer $CLERK" $CUSTOMERS/{customer}
#    The manager sees everything:
curl -sS -w '\n' -H "Authorization: Bearer $MANAGER" $CUSTOMERS/{customer}

# 2. The owner of the other tenant finds nothing, not even that there is something:
curl -sS -w '\n' -H "Authorization: Bearer $STRANGER" $CUSTOMERS/{customer}

# 3. The owner erases that person: the record, the orders, everything about them.
curl -sS -w '\n' -H "Authorization: Bearer $OWNER" -H "Content-Type: application/json" -H "Idempotency-Key: {key}" -d '{{"target":{{"subject":"{subject}"}},"ground":"subject_request"}}' $ERASURES

# 4. The keys are gone, and with them the record, for everybody:
curl -sS -w '\n' -H "Authorization: Bearer $MANAGER" $CUSTOMERS/{customer}
curl -sS -w '\n' -H "Authorization: Bearer $OWNER" $CUSTOMERS/{customer}

# 5. The receipt of that erasure, and its signature, which is verified without the server:
RECEIPT=$(curl -sS -H "Authorization: Bearer $OWNER" $ERASURES | sed -n 's/.*"receipt": *"\(rcp_[a-z0-9]*\)".*/\1/p' | head -n 1)
"$STRONGROOM" receipts show $RECEIPT --armored --server {address} --token-file "$FOLDER/{short}-owner.token" > "$FOLDER/receipt.txt"
PUBLIC=$(curl -sS {address}/v1/system/receipt-key | sed -n 's/.*"public_key": *"\([^"]*\)".*/\1/p')
"$STRONGROOM" receipts verify "$FOLDER/receipt.txt" --public-key "$PUBLIC"
"#,
        program = quoted(&program),
        folder = quoted(&folder.display().to_string()),
        tenant = first.id,
        owner = first.owner.expose(),
        manager = first.manager.expose(),
        clerk = first.clerk.expose(),
        stranger = second.owner.expose(),
        customer = first.customer,
        subject = first.subject,
        short = first.short,
    )
    .map_err(failed)?;
    Ok(text)
}

/// A word of shell that stands for itself.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_quote_stays_one_word() {
        assert_eq!(quoted("/it's here"), r"'/it'\''s here'");
    }
}
