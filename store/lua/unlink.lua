#!lua flags=allow-oom
-- Takes a customer off an address.
-- KEYS[1]  the bucket of the address's hash
-- ARGV[1]  its field there
-- ARGV[2]  the customer
-- Returns  1 if the address led to the customer, else 0
local old = redis.call('HGET', KEYS[1], ARGV[1])
if not old then return 0 end
local kept, found = {}, 0
for id in string.gmatch(old, '[^,]+') do
  if id == ARGV[2] then found = 1 else kept[#kept + 1] = id end
end
if found == 0 then return 0 end
if #kept == 0 then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], table.concat(kept, ','))
end
return 1
