-- Releases a hit, once, and closes the open event. Returns 1 where that queued an event.
local id, hold, incarnation, call_id = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lease, fencing_token, unsent_bytes = ARGV[5], ARGV[6], tonumber(ARGV[7])
local client, until_ms = ARGV[8], ARGV[9]
local node, open, queued_as, report = ARGV[10], ARGV[11], ARGV[12], ARGV[13]
even_when_full()
if not first_run(call_id) then return 0 end
if hold == 'counted' then
  release_hit(id, incarnation, client, until_ms)
elseif hold == 'leased' and own_lease(id, lease, fencing_token) then
  local sent_bytes = math.max(0, charged_by(id, lease) - unsent_bytes)
  if sent_bytes > 0 then call('HINCRBY', TOKEN .. id, CHARGED_BYTES, int(sent_bytes)) end
  delete_lease(id, lease)
end
if open ~= '' and close_event(node, open, report, queued_as) then return 1 end
return 0
