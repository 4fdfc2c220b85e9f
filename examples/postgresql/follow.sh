#!/bin/sh
# Carries to Strongroom what changes in the table, until it is stopped; with `--once` until nothing
# waits any more. It may be killed at any moment, and two of them do not get into each other's way.
set -u
umask 077
MOVING=$(cd "$(dirname "$0")" && pwd)
MOVING_CARRIED=$(mktemp) || exit 1
export MOVING MOVING_CARRIED
export PGCLIENTENCODING=UTF8
trap 'rm -f "$MOVING_CARRIED"' EXIT
trap 'exit 0' INT TERM

while :; do
    # How many customers were carried, and how many changes wait.
    round=$(psql --no-psqlrc --quiet --no-align --tuples-only --field-separator ' ' \
        --file "$MOVING/follow.sql") || round='0 unknown'
    carried=${round% *}
    waiting=${round#* }
    if [ "${1:-}" = --once ]; then
        [ "$waiting" != 0 ] || exit 0
        [ "$carried" != 0 ] || { echo "stopped: $waiting changes wait" >&2; exit 1; }
    elif [ "$waiting" = 0 ]; then
        sleep 1
    elif [ "$carried" = 0 ]; then
        # The server, the database or the credential: something is not there.
        sleep 5
    fi
done
