-- Returns an index's events after (`from`, `after`) in the order in which they were queued: id, time, …
local index, from, after, max = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local found = {}
-- Events of the same millisecond are ordered by their ids.
for _, event in ipairs(call('ZRANGEBYSCORE', index, from, from)) do
  if event > after and #found < 2 * max then
    found[#found + 1], found[#found + 2] = event, from
  end
end
if #found < 2 * max then
  local left = max - #found / 2
  local later = call('ZRANGEBYSCORE', index, '(' .. from, '+inf', 'WITHSCORES', 'LIMIT', 0, left)
  for _, item in ipairs(later) do found[#found + 1] = item end
end
return found
