-- Says what is moved, and notes from now on which customer has changed. Run it once, before anything
-- is copied. It waits for transactions that are changing the table, and takes no longer than that.
\set ON_ERROR_STOP on
begin;

create schema moving;

-- The one place that says which columns are moved, under which names, and how they are cleaned. The
-- columns after `collected_at` are named as the fields of the collection. Empty addresses are none,
-- and addresses are written as Strongroom keeps them, so that the two can be compared.
create view moving.customers as
select id,
       id::text as external_id,
       to_json(created_at) #>> '{}' as collected_at,
       name,
       lower(nullif(btrim(email), '')) as email,
       to_json(born) #>> '{}' as birth_date,
       national_id
from public.customers;

-- Each of them as Strongroom takes a record.
create view moving.records as
select id,
       external_id,
       to_jsonb(c) - 'id' - 'external_id' - 'collected_at' as fields,
       jsonb_build_object(
           'external_id', external_id,
           'source', 'table customers of the shop',
           'collected_at', collected_at,
           'fields', to_jsonb(c) - 'id' - 'external_id' - 'collected_at'
       ) as record
from moving.customers c;

-- Whose row has changed; not what it holds. What is sent is always the row as it then is, so an entry
-- may be carried twice and says nothing about anybody if it is left behind.
create table moving.outbox (
    number bigint generated always as identity primary key,
    customer bigint not null,
    noted_at timestamptz not null default clock_timestamp(),
    -- Why Strongroom does not take the row, without its values; it waits until the row is mended.
    refused text
);

create function moving.note() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if tg_op = 'TRUNCATE' then
        raise exception 'customers is being moved: delete its rows, do not truncate it';
    end if;
    if tg_op <> 'INSERT' then
        insert into moving.outbox (customer) values (old.id);
    end if;
    if tg_op = 'INSERT' or (tg_op = 'UPDATE' and new.id <> old.id) then
        insert into moving.outbox (customer) values (new.id);
    end if;
    return null;
end
$$;

create trigger moving_note after insert or update or delete on public.customers
    for each row execute function moving.note();
create trigger moving_note_truncate before truncate on public.customers
    for each statement execute function moving.note();

commit;
