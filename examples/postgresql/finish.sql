-- The end: the columns go, and the table is written anew without them. There is no way back from here but
-- `back-out.sh`, which fills new columns from Strongroom.
\set ON_ERROR_STOP on
begin;
drop trigger moving_refuse on public.customers;
drop schema moving cascade;
alter table public.customers
    drop column name, drop column email, drop column born, drop column national_id;
commit;
-- Dropping a column only hides it: its bytes leave the table's file when it is written anew. The table is
-- locked meanwhile, and needs its own size of free space.
vacuum full public.customers;
-- The planner's statistics held some of the values. Only the database's owner may do this; others are told
-- that it is left out.
vacuum full pg_catalog.pg_statistic;
