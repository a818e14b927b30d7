-- Ends open entries of a node that died: queued as `report` says, or dropped.
-- From the third argument on: ids to queue them under, as many as may be ended at once.
local owner, report = ARGV[1], ARGV[2]
local key = P .. 'o:' .. owner
local most = #ARGV - 2
local left = redis.call('HKEYS', key)
for n = 1, math.min(#left, most) do
  close_entry(owner, left[n], report, ARGV[n + 2])
end
if #left == 0 then redis.call('SREM', P .. 'owners', owner) end
return {math.min(#left, most), math.max(0, #left - most)}
