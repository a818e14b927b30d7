-- The access did not happen: gives its hit back, once.
local id, kind, incarnation, call = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lease, turn, unsent = ARGV[5], ARGV[6], tonumber(ARGV[7])
local client, until_ms = ARGV[8], ARGV[9]
local owner, open, queued_as, report = ARGV[10], ARGV[11], ARGV[12], ARGV[13]
even_when_full()
if not first_run(call) then return 0 end
if kind == 'counted' then
  give_back(id, incarnation, client, until_ms)
elseif kind == 'leased' then
  if own_lease(id, lease, turn) then
    local sent = math.max(0, charged_by(id, lease) - unsent)
    if sent > 0 then redis.call('HINCRBY', P .. 't:' .. id, 'b', int(sent)) end
    drop_lease(id, lease)
  end
end
if open ~= '' and close_entry(owner, open, report, queued_as) then return 1 end
return 0
