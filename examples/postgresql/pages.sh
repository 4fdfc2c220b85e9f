# Sourced by `verify.sh` and `back-out.sh`: every record, a page of a list on each line. Where the list
# breaks off, a line says so that is no JSON, and PostgreSQL refuses all of it.
pages() {
    cursor=
    while :; do
        page=$(strongroom records list customers --limit 1000 --output json \
            ${cursor:+--cursor "$cursor"}) || { echo 'the list has broken off'; return; }
        printf '%s\n' "$page" | tr -d '\n'
        echo
        cursor=$(printf '%s\n' "$page" | sed -n 's/^  "next": "\(.*\)",\{0,1\}$/\1/p')
        [ -n "$cursor" ] || return
    done
}
