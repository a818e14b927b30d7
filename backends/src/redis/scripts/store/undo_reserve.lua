-- Takes back what a `reserve` has done whose answer was lost, if it has done anything. Should it come
-- only after this, it counts nothing.
local id, call, client, owner, open, this_call = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
even_when_full()
if not first_run(this_call) then return 0 end
if redis.call('HEXISTS', P .. 'l:' .. id, call) == 1 then drop_lease(id, call) end
local counted = redis.call('GET', P .. 'q:' .. call)
if counted then
  give_back(id, string.sub(counted, 1, 16), client, string.sub(counted, 18))
end
redis.call('SET', P .. 'q:' .. call, 'undone', 'PX', REMEMBER_MS)
close_entry(owner, open, '', '')
return 1
