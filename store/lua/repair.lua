#!lua
-- Looks through a day's records for pending messages that no queue holds, and puts them back.
-- KEYS[1]  the shard's fence
-- ARGV[1]  day
-- ARGV[2]  cursor of HSCAN
-- ARGV[3]  now on the daemon's clock, ms
-- Returns  {next cursor, how many were put back}
-- One that was being sent is put back as a claim whose lease has ended: whoever claims it learns that its outcome is unknown.
local prefix = string.sub(KEYS[1], 1, -6)
local channels = {e = 'email', s = 'sms', w = 'webhook'} -- as in record.go
local day = ARGV[1]
local page = redis.call('HSCAN', prefix .. 'msg:' .. day, ARGV[2], 'COUNT', 500)
local back = 0
for i = 1, #page[2], 2 do
  local id, raw = page[2][i], page[2][i + 1]
  local state, class, channel, customer = string.match(raw, '^(.)(.)(.)|([^|]*)')
  if (state == 'd' or state == 'r' or state == 'g') and customer and channels[channel] then
    local urgent = class == 'S' or class == 'V'
    local lane, member = prefix .. 'due:' .. channels[channel] .. (urgent and '-a' or '-b'), id .. day .. customer
    local elsewhere = false
    for _, other in ipairs({'email-a', 'email-b', 'sms-a', 'sms-b', 'webhook-a', 'webhook-b'}) do
      elsewhere = elsewhere or redis.call('ZSCORE', prefix .. 'due:' .. other, member)
    end
    if not elsewhere then
      local sending = state == 'g'
      local v = redis.call('HGET', prefix .. 'flight', customer)
      local m, record = string.match(v or '', '^%d+|%d+|([^|]*)|(.*)$')
      if m == member then
        if record ~= '' then
          sending = true
        else
          -- Who held it holds it no more: its customer's messages need not wait for a lease that stands nowhere.
          redis.call('HDEL', prefix .. 'flight', customer)
        end
      end
      redis.call('ZADD', lane, sending and '-9000000000000000' or ARGV[3], member)
      back = back + 1
    end
  end
end
return {page[1], back}
