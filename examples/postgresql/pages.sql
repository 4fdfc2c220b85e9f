-- Takes the pages of `pages.sh`; the table is gone when the session ends. Each line is one document, so no
-- character that a line of JSON can hold is a quote or a delimiter.
create temporary table page (document text not null);
create temporary table asked (customer bigint not null);
copy page from stdin with (format csv, quote e'\x01', delimiter e'\x02');
