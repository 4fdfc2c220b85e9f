#!/bin/sh
# The way back after the switch, also after the columns have gone: they get what Strongroom has. Stop
# writers first. It happens whole, or not at all.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/pages.sh"
export PGCLIENTENCODING=UTF8

{
    echo 'begin;'
    cat "$here/pages.sql"
    pages
    echo '\.'
    cat "$here/back-out.sql"
} | psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1
