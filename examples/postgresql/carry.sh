#!/bin/sh
# Carries customers to Strongroom. A line of standard input is `customer<TAB>record`, without a record
# for a customer who is gone. A line of standard output is `customer<TAB>` when it has been carried, and
# `customer<TAB>reason` when Strongroom does not take the record. It ends early, and says why, when
# nothing can be carried; what it has not spoken of has not been carried.
set -u
tab=$(printf '\t')

# Finds out once in whose name it works; else every command below would ask for itself.
tenant() {
    [ -z "${STRONGROOM_TENANT:-}" ] || return 0
    said=$(strongroom whoami --output json 2>&1 </dev/null) || return
    STRONGROOM_TENANT=$(printf '%s\n' "$said" | sed -n 's/^  "tenant": "\(ten_[0-9a-z]*\)".*/\1/p')
    export STRONGROOM_TENANT
}

# Carries `$record` of `$customer`; nothing is ever an argument that other users of the machine may not
# see.
put() {
    said=$(printf '%s' "$record" | strongroom records upsert customers 2>&1 >/dev/null)
}

# Deletes the record of `$customer`; the key of its content dies with it.
drop() {
    said=$(strongroom records lookup customers --external-id "$customer" --output json 2>&1 </dev/null) ||
        return
    id=$(printf '%s\n' "$said" | sed -n 's/^  "id": "\(rec_[0-9a-z]*\)".*/\1/p')
    said=$(strongroom records delete customers "$id" 2>&1 </dev/null)
}

while IFS="$tab" read -r customer record; do
    if ! tenant; then
        printf '%s\n' "$said" >&2
        exit 0
    fi
    if [ -n "$record" ]; then
        put
        code=$?
    else
        drop
        code=$?
        # It is not there: nothing is left to do.
        [ "$code" -ne 4 ] || code=0
    fi
    case $code in
    0)
        printf '%s\t\n' "$customer"
        continue
        ;;
    # Somebody else has changed the record at the same moment: in the next round.
    5) continue ;;
    esac
    case $said in
    *'(invalid)'* | *'(invalid_json)'* | *'(body_too_large)'*)
        # Where it is wrong and why; the answer never repeats a value.
        reason=$(printf '%s\n' "$said" | sed -n 's/^  \(\/.*\)/\1/p' | tr '\n\t' '; ')
        [ -n "$reason" ] || reason=$(printf '%s\n' "$said" | head -n 1)
        reason=${reason%;}
        printf '%s\t%s\n' "$customer" "$reason"
        printf 'customer %s is not taken: %s\n' "$customer" "$reason" >&2
        ;;
    *)
        printf '%s\n' "$said" >&2
        exit 0
        ;;
    esac
done
