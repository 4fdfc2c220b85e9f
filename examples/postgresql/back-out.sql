-- The second half of `back-out.sh`, in the transaction that has taken the pages.
create temporary table kept on commit drop as
    select (item ->> 'external_id') as external_id, item -> 'fields' as fields
    from page, jsonb_array_elements(document::jsonb -> 'data') as item;
create unique index on kept (external_id);

set local client_min_messages = warning;
lock table public.customers in access exclusive mode;
drop trigger if exists moving_refuse on public.customers;
drop schema if exists moving cascade;
alter table public.customers
    add column if not exists name text, add column if not exists email text,
    add column if not exists born date, add column if not exists national_id text;

-- Whoever has been erased in Strongroom does not come back.
update public.customers c set name = null, email = null, born = null, national_id = null
    where not exists (select from kept k where k.external_id = c.id::text);
-- An address that differs in capitals alone stays as it was written.
update public.customers c
    set name = k.fields ->> 'name',
        email = case when lower(btrim(c.email)) = k.fields ->> 'email'
            then c.email else k.fields ->> 'email' end,
        born = (k.fields ->> 'birth_date')::date,
        national_id = k.fields ->> 'national_id'
    from kept k
    where k.external_id = c.id::text;

select count(*) || ' customers, ' || count(*) filter (where name is null) || ' of them without a name'
    from public.customers;
select 'without a row: ' || external_id from kept k
    where not exists (select from public.customers c where c.id::text = k.external_id)
    order by external_id;
commit;
