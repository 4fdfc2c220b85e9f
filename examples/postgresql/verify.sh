#!/bin/sh
# Compares the table with Strongroom: `verify.sh` every row, `verify.sh 100` so many by chance. It says
# which customers differ and in which fields, and never a value. Exit code 0 means that nothing differs.
set -u
umask 077
here=$(cd "$(dirname "$0")" && pwd)
. "$here/pages.sh"
export PGCLIENTENCODING=UTF8
# So many who differ are looked at once more; beyond that something is wrong with all of them.
AGAIN_MAX=1000

sql() { psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 "$@"; }

# The records of the customers on standard input, each as a page of its own.
records() {
    while read -r customer; do
        record=$(strongroom records lookup customers --external-id "$customer" --output json \
            2>/dev/null </dev/null)
        case $? in
        0) printf '{"data":[%s]}' "$record" | tr -d '\n'; echo ;;
        4) ;;
        *) echo 'a record could not be read'; return ;;
        esac
    done
}

# Compares the customers of the file `$1`, or all of them without it, with the pages on standard input.
compare() {
    {
        cat "$here/pages.sql"
        cat
        echo '\.'
        if [ -n "${1:-}" ]; then
            echo 'copy asked from stdin;'
            cat "$1"
            echo '\.'
        fi
        cat "$here/verify.sql"
    } | sql
}

asked=$(mktemp) && found=$(mktemp) && again=$(mktemp) || exit 2
trap 'rm -f "$asked" "$found" "$again"' EXIT

if [ -n "${1:-}" ]; then
    sql --command "select id from moving.customers order by random() limit $1" > "$asked" || exit 2
    records < "$asked" | compare "$asked" > "$found" || exit 2
else
    pages | compare > "$found" || exit 2
fi
head -n 1 "$found"

# A row may have changed while it was compared: whoever differs is looked at once more. Who is no
# customer of ours by the look of the id is not.
sed -n 's/^differs \([0-9]\{1,18\}\):.*/\1/p' "$found" > "$asked"
count=$(wc -l < "$asked")
if [ "$count" -gt 0 ] && [ "$count" -le $AGAIN_MAX ]; then
    sleep 2
    records < "$asked" | compare "$asked" > "$again" || exit 2
    grep '^differs' "$found" | grep -v '^differs [0-9]\{1,18\}:' >> "$again"
    cp "$again" "$found"
    echo "once more, those who differed: $(head -n 1 "$again")"
fi
! grep '^differs' "$found"
