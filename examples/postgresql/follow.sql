-- One round of `follow.sh`: up to 100 entries are taken, carried, and crossed out, in one transaction.
\set ON_ERROR_STOP on
begin;
-- Whoever carries holds this lock: what is read after it is newer than what anybody has sent before.
select pg_advisory_xact_lock(hashtext('moving.outbox')) \g /dev/null

create temporary table batch on commit drop as
    select number, customer from moving.outbox where refused is null order by number limit 100;
create temporary table carried (customer bigint not null, refused text) on commit drop;

-- The rows as they are now: whatever has changed since the entry was written goes along, and an entry
-- that is written meanwhile is in a later round.
\copy (select b.customer, r.record from (select distinct customer from batch) b left join moving.records r on r.id = b.customer) to program 'sh "$MOVING/carry.sh" > "$MOVING_CARRIED"' with (format csv, delimiter E'\t', quote E'\x01')
\copy carried from program 'cat "$MOVING_CARRIED"' with (format csv, delimiter E'\t', quote E'\x01')

delete from moving.outbox o using batch b, carried c
    where o.number = b.number and b.customer = c.customer and c.refused is null;
-- A row that has been carried since needs no mending any more.
delete from moving.outbox o using carried c
    where o.customer = c.customer and o.refused is not null and c.refused is null;
update moving.outbox o set refused = c.refused from batch b, carried c
    where o.number = b.number and b.customer = c.customer and c.refused is not null;
select (select count(*) from carried), (select count(*) from moving.outbox where refused is null);
commit;
