//! The words of access: actions, views, rules and the permission classes that hold them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::{ClassId, ClassName, CollectionName, FieldName, Label, Malformed, Purpose};

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// What somebody may be allowed to do. The permission table maps every route to one.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode,
            serde::Serialize, serde::Deserialize, utoipa::ToSchema,
        )]
        #[serde(rename_all = "snake_case")]
        #[cbor(index_only)]
        pub enum Action {
            $($(#[$doc])* #[n($number)] $name,)*
        }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its number in audit lines.
            pub const fn number(self) -> u8 {
                match self { $(Self::$name => $number),* }
            }

            /// The action with this number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }

            /// Its name in rules and answers.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }

        impl fmt::Display for Action {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

actions! {
    /// Read records.
    Read = 1, "read";
    /// Create records and subjects.
    Create = 2, "create";
    /// Change records.
    Update = 3, "update";
    /// Delete records.
    Delete = 4, "delete";
    /// Look for records by the value of a field.
    Search = 5, "search";
    /// Take records out in bulk.
    Export = 6, "export";
    /// Count and sum.
    Aggregate = 7, "aggregate";
    /// Invite, change, suspend and remove users.
    ManageUsers = 32, "manage_users";
    /// Make and change permission classes.
    ManageClasses = 33, "manage_classes";
    /// Make and revoke API keys.
    ManageKeys = 34, "manage_keys";
    /// Admit and revoke connections and backends.
    ManageConnections = 35, "manage_connections";
    /// Make and change collections.
    ManageSchema = 36, "manage_schema";
    /// Declare purposes and their grounds.
    ManagePurposes = 37, "manage_purposes";
    /// Set how long data is kept.
    ManageRetention = 38, "manage_retention";
    /// Change the tenant's settings.
    ManageSettings = 39, "manage_settings";
    /// Publish terms and notices.
    ManageDocuments = 40, "manage_documents";
    /// Keep the incident register.
    ManageIncidents = 41, "manage_incidents";
    /// Approve, narrow, end support grants.
    ApproveSupport = 42, "approve_support";
    /// Approve transfers to recipients.
    ApproveTransfer = 43, "approve_transfer";
    /// Place and release legal holds.
    PlaceHold = 44, "place_hold";
    /// Work on the requests of data subjects.
    HandleRights = 45, "handle_rights";
    /// Erase.
    Erase = 46, "erase";
    /// Read the audit log.
    ReadAudit = 47, "read_audit";
    /// End the contract.
    Terminate = 48, "terminate";
    /// Make, list, suspend tenants: the provider's operators.
    ManageTenants = 64, "manage_tenants";
    /// Run the server: lock it, start batches, see how it is: the provider's operators.
    Operate = 65, "operate";
    /// Make, rotate, revoke backends: the provider's operators.
    ManageBackends = 66, "manage_backends";
}

/// Actions with lower numbers are about records.
const FIRST_ADMINISTRATIVE: u8 = 32;
/// Actions from this number on are the provider's own.
const FIRST_OF_PROVIDER: u8 = 64;

impl Action {
    /// Whether it is about records, so that collection, fields, rows and purpose count.
    pub const fn is_data(self) -> bool {
        self.number() < FIRST_ADMINISTRATIVE
    }

    /// Whether it is one of the administrative actions that a tenant's own classes give.
    pub const fn is_of_tenants_admins(self) -> bool {
        self.number() >= FIRST_ADMINISTRATIVE && self.number() < FIRST_OF_PROVIDER
    }
}

/// What a class sees of a field, from nothing to everything.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum View {
    /// Nothing, not even that it has a value.
    #[default]
    #[n(0)]
    Hidden,
    /// What the field's mask leaves.
    #[n(1)]
    Masked,
    /// Masked, unless the request names it in `reveal`, which is recorded as such.
    #[n(2)]
    Revealable,
    /// The value.
    #[n(3)]
    Clear,
}

/// A named set of rules, owned by a tenant.
#[derive(Debug, Clone, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct PermissionClass {
    /// Its id.
    #[n(0)]
    pub id: ClassId,
    /// Its name within the tenant.
    #[n(1)]
    pub name: ClassName,
    /// What people call it.
    #[n(2)]
    pub label: Label,
    /// What it allows.
    #[n(3)]
    pub terms: ClassTerms,
}

/// What a class allows, and under which conditions it counts.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    Default,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct ClassTerms {
    /// Whether it may everything: the owner class.
    #[n(0)]
    #[serde(default)]
    pub owner: bool,
    /// What it allows on records. Rules only allow; nothing forbids but the lack of a rule.
    #[n(1)]
    #[serde(default, deserialize_with = "crate::objects::objects")]
    pub rules: Vec<Rule>,
    /// The administrative actions it allows.
    #[n(2)]
    #[serde(default)]
    pub administrative: Vec<Action>,
    /// The classes that its holders may assign and edit, by name.
    #[n(3)]
    #[serde(default)]
    pub administers: Vec<ClassName>,
    /// Under which conditions the class counts for a request.
    #[n(4)]
    #[serde(default, deserialize_with = "crate::objects::object")]
    pub conditions: Conditions,
}

/// One thing that a class allows.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The data actions it allows.
    #[n(0)]
    pub actions: Vec<Action>,
    /// On which collection; absent: on every one.
    #[n(1)]
    #[serde(default)]
    pub collection: Option<CollectionName>,
    /// What is seen of fields that `fields` does not name.
    #[n(2)]
    #[serde(default)]
    pub view: View,
    /// What is seen of single fields.
    #[n(3)]
    #[serde(default, deserialize_with = "crate::objects::objects")]
    pub fields: Vec<FieldRule>,
    /// Whether fields that `fields` does not name may be written.
    #[n(4)]
    #[serde(default)]
    pub write: bool,
    /// On which records.
    #[n(5)]
    #[serde(default)]
    pub rows: RowScope,
    /// For which purposes; empty: for every one that the collection has.
    #[n(6)]
    #[serde(default)]
    pub purposes: Vec<Purpose>,
}

/// What a rule says about one field.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct FieldRule {
    /// The field.
    #[n(0)]
    pub field: FieldName,
    /// What is seen of it.
    #[n(1)]
    pub view: View,
    /// Whether it may be written.
    #[n(2)]
    #[serde(default)]
    pub write: bool,
}

/// On which records a rule allows something. Only what stands in the record head can be used.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    Default,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RowScope {
    /// Every record.
    #[default]
    #[n(0)]
    All,
    /// Created by the user, or about the subject linked to the user.
    #[n(1)]
    Own,
    /// Assigned to the user.
    #[n(2)]
    Assigned,
    /// Where each of these comparisons holds.
    #[n(3)]
    Filter(
        #[n(0)]
        #[serde(deserialize_with = "crate::objects::objects")]
        Vec<Comparison>,
    ),
}

/// A comparison of a field marked `scope` with some values.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// The field.
    #[n(0)]
    pub field: FieldName,
    /// It holds where the field's value is one of these.
    #[n(1)]
    pub any_of: Vec<String>,
}

/// When a class counts for a request. What is absent is no condition.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    Default,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// Only within this window of time.
    #[n(0)]
    #[serde(default, deserialize_with = "crate::objects::object_if_any")]
    pub window: Option<TimeWindow>,
    /// Only from these networks; empty: from anywhere.
    #[n(1)]
    #[serde(default)]
    pub addresses: Vec<Network>,
    /// Only within so many seconds after a second factor was shown.
    #[n(2)]
    #[serde(default)]
    pub second_factor_seconds_max: Option<u32>,
    /// Only for these purposes; empty: for any.
    #[n(3)]
    #[serde(default)]
    pub purposes: Vec<Purpose>,
}

/// Hours of some days of the week in a time zone.
#[derive(
    Debug,
    Clone,
    PartialEq,
    Eq,
    minicbor::Encode,
    minicbor::Decode,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct TimeWindow {
    /// An IANA time zone such as `Europe/Berlin`.
    #[n(0)]
    pub zone: String,
    /// Days of the week, 1 Monday to 7 Sunday.
    #[n(1)]
    #[schema(value_type = Vec<Weekday>)]
    pub weekdays: Vec<u8>,
    /// From this minute of the day, 0 to 1439.
    #[n(2)]
    #[schema(maximum = 1439)]
    pub from_minute: u16,
    /// Until before this minute of the day, 1 to 1440; after `from_minute`.
    #[n(3)]
    #[schema(minimum = 1, maximum = 1440)]
    pub until_minute: u16,
}

/// A day of the week, 1 Monday to 7 Sunday.
#[derive(utoipa::ToSchema)]
#[schema(value_type = u8, minimum = 1, maximum = 7)]
#[expect(dead_code, reason = "only its shape is used")]
struct Weekday(u8);

/// A network in CIDR form, such as `192.0.2.0/24` or `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether the address lies in it. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.prefix);
                u32::from(own).checked_shr(shift) == u32::from(other).checked_shr(shift)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.prefix);
                u128::from(own).checked_shr(shift) == u128::from(other).checked_shr(shift)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Network {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let wrong = Malformed("a network looks like `192.0.2.0/24` or `2001:db8::/32`");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong)?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(widest), |prefix| prefix.parse::<u8>().map_err(|_| wrong))?;
        if prefix > widest { Err(wrong) } else { Ok(Self { address, prefix }) }
    }
}

impl serde::Serialize for Network {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl<C> minicbor::Encode<C> for Network {
    fn encode<W: minicbor::encode::Write>(
        &self,
        to: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        to.str(&self.to_string())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Network {
    fn decode(
        from: &mut minicbor::Decoder<'b>,
        _: &mut C,
    ) -> Result<Self, minicbor::decode::Error> {
        from.str()?.parse().map_err(|_| minicbor::decode::Error::message("not a network"))
    }
}

impl utoipa::PartialSchema for Network {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .into()
    }
}
impl utoipa::ToSchema for Network {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_read_from_objects_with_known_members_alone() {
        let reads = |rule: &str, conditions: &str| {
            let text = format!(r#"{{"rules":[{rule}],"conditions":{conditions}}}"#);
            serde_json::from_str::<ClassTerms>(&text).is_ok()
        };
        let window = r#"{"zone":"UTC","weekdays":[1],"from_minute":0,"until_minute":60}"#;
        let good = r#"{"actions":["read"],"fields":[{"field":"a","view":"clear"}],
            "rows":{"filter":[{"field":"a","any_of":["x"]}]}}"#;
        assert!(reads(good, &format!(r#"{{"window":{window}}}"#)));
        assert!(reads(good, r#"{"window":null}"#));
        for rule in [
            r#"[["read"],null,"clear"]"#,
            r#"{"actions":["read"],"more":1}"#,
            r#"{"actions":["read"],"fields":[["a","clear",true]]}"#,
            r#"{"actions":["read"],"fields":[{"field":"a","view":"clear","more":1}]}"#,
            r#"{"actions":["read"],"rows":{"filter":[["a",["x"]]]}}"#,
            r#"{"actions":["read"],"rows":{"filter":[{"field":"a","any_of":["x"],"more":1}]}}"#,
            r#"{"actions":["read"],"rows":{"all":null,"own":null}}"#,
            r#"{"actions":["read"],"view":"clear","view":"hidden"}"#,
        ] {
            assert!(!reads(rule, "{}"), "{rule}");
        }
        for conditions in [
            "null",
            r#"[null,["192.0.2.0/24"]]"#,
            r#"{"window":["UTC",[1],0,60]}"#,
            r#"{"window":{"zone":"UTC","weekdays":[1],"from_minute":0,"until_minute":60,"more":1}}"#,
            r#"{"more":1}"#,
        ] {
            assert!(!reads(good, conditions), "{conditions}");
        }
    }

    #[test]
    fn a_network_contains_what_shares_its_prefix() {
        let check = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        assert!(check("192.0.2.0/24", "192.0.2.77"));
        assert!(!check("192.0.2.0/24", "192.0.3.1"));
        assert!(check("0.0.0.0/0", "8.8.8.8"));
        assert!(!check("0.0.0.0/0", "2001:db8::1"));
        assert!(check("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(check("2001:db8::/32", "2001:db8:1::1"));
        assert!(check("::/0", "2001:db8::1"));
    }

    #[test]
    fn every_action_comes_back_from_its_number() {
        for action in Action::ALL {
            assert_eq!(Action::from_number(action.number()), Some(*action));
        }
    }
}
