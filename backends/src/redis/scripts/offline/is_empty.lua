-- 1 where nothing is in the partition that an export would read.
for _, key in ipairs({'a', 'leases', 'parts', 'owners', 'e', 'k'}) do
  if redis.call('EXISTS', P .. key) == 1 then return 0 end
end
return 1
