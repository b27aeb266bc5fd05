#!/bin/sh
# Run once by PostgreSQL's image, in an empty data directory: the database, and its owner, who may make the functions' roles.
set -eu
psql -q -v ON_ERROR_STOP=1 -v password="$(cat /run/secrets/owner-password)" --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
create role coditect_owner login createrole password :'password';
create database coditect owner coditect_owner;
\connect coditect
-- No function keeps large objects, and only a superuser can take the right from everybody.
revoke execute on function lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea), lo_import(text), lo_import(text, oid) from public;
SQL
