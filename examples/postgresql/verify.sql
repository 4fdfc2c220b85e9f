-- The second half of `verify.sh`: the comparison.
create temporary table kept as
    select (item ->> 'external_id') as external_id, item ->> 'subject' as subject, item -> 'fields' as fields
    from page, jsonb_array_elements(document::jsonb -> 'data') as item;

create temporary table compared as
    with expected as (
        select * from moving.records
        where not exists (select from asked) or id in (select customer from asked)
    ), waiting as (
        select distinct customer::text as external_id from moving.outbox where refused is null
    )
    select external_id,
           case
               when w.there then 'waits'
               when k.there is null then 'differs: is not in Strongroom'
               when r.there is null then 'differs: is not in the table'
               when k.fields = jsonb_strip_nulls(r.fields) then 'equal'
               else 'differs: ' || coalesce((
                   select string_agg(name, ', ' order by name)
                   from jsonb_object_keys(k.fields || r.fields) as name
                   where (k.fields ->> name) is distinct from (r.fields ->> name)), 'form')
           end as outcome
    from (select external_id, fields, true as there from kept) k
    full join (select external_id, fields, true as there from expected) r using (external_id)
    left join (select external_id, true as there from waiting) w using (external_id);

select count(*) || ' compared: ' || count(*) filter (where outcome = 'equal') || ' equal, '
    || count(*) filter (where outcome = 'waits') || ' on the way, '
    || count(*) filter (where outcome like 'differs%') || ' differ; '
    || (select count(distinct subject) from kept) || ' persons'
from compared;
select 'differs ' || external_id || substr(outcome, 8) from compared
    where outcome like 'differs%' order by length(external_id), external_id;
