-- Closes open events of a dead node: queues them with `report`, or deletes them where it is empty.
-- From the third argument on: ids to queue them under, as many as one call may close.
local node, report = ARGV[1], ARGV[2]
local max = #ARGV - 2
local open = call('HKEYS', OPEN_EVENTS_OF .. node)
for n = 1, math.min(#open, max) do
  close_event(node, open[n], report, ARGV[n + 2])
end
if #open == 0 then call('SREM', NODES_WITH_OPEN_EVENTS, node) end
return {math.min(#open, max), math.max(0, #open - max)}
