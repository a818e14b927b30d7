-- Revokes a token; where an incarnation is given, only that life of it. 1 where it was there.
local id, incarnation, call = ARGV[1], ARGV[2], ARGV[3]
local f = redis.call('HMGET', P .. 't:' .. id, 'r', 'i', 'x')
if not f[1] then
  -- The same call again: it was there.
  return redis.call('EXISTS', P .. 'q:' .. call)
end
if incarnation ~= '' and f[2] ~= incarnation then return 0 end
forget(id, f[1])
if is_gone(f[3]) then return 0 end
first_run(call)
return 1
