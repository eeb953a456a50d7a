-- A function is PUBLIC's to call until that is taken back. Whoever names no workspace is to be told so, not that it may not ask.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA @schema@ FROM PUBLIC;
GRANT EXECUTE ON FUNCTION no_workspace() TO PUBLIC;
