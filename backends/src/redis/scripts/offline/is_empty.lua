-- Returns 1 where the partition has nothing to export.
for _, key in ipairs({TOKENS, LEASES_BY_DEADLINE, UPLOADS_BY_LOOK, NODES_WITH_OPEN_EVENTS, EVENTS, DEAD_LETTERS}) do
  if call('EXISTS', key) == 1 then return 0 end
end
return 1
