#!/bin/sh
# Copies the table once: PostgreSQL writes CSV, Strongroom makes records of it. Nothing is written to a
# disk in between. It may be run again: what is there already is left as it is.
set -u
here=$(cd "$(dirname "$0")" && pwd)
export PGCLIENTENCODING=UTF8
rejects=${1:-customers.rejects.ndjson}
ended=$(mktemp) || exit 1
trap 'rm -f "$ended"' EXIT

# What an earlier run has left.
rm -f "$rejects"
{
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --command \
        "copy (select * from moving.customers order by id) to stdout with (format csv, header, null '\N')"
    echo $? > "$ended"
} | strongroom import /dev/stdin --format csv --map "$here/customers.map.toml" \
    --rejects "$rejects"
code=$?

# A copy that breaks off looks to the import like a table that ends there.
if [ "$(cat "$ended")" != 0 ]; then
    echo 'PostgreSQL has not written all rows: run it again' >&2
    exit 1
fi
exit $code
