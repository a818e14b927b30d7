-- Events of one state in the order in which they were queued: (id, when) … after a place.
local index, from, after, most = P .. ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local found = {}
-- Those of the very same moment stand in order of their ids.
for _, event in ipairs(redis.call('ZRANGEBYSCORE', index, from, from)) do
  if event > after and #found < 2 * most then
    found[#found + 1], found[#found + 2] = event, from
  end
end
if #found < 2 * most then
  local left = most - #found / 2
  local later = redis.call('ZRANGEBYSCORE', index, '(' .. from, '+inf', 'WITHSCORES', 'LIMIT', 0, left)
  for _, word in ipairs(later) do found[#found + 1] = word end
end
return found
