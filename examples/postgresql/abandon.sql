-- The way back before the switch: the table has been the truth all along, so all that is undone is the
-- noting of changes.
\set ON_ERROR_STOP on
begin;
drop trigger moving_note on public.customers;
drop trigger moving_note_truncate on public.customers;
drop schema moving cascade;
commit;
