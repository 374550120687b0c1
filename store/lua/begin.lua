#!lua
-- Records that claimed messages are about to be handed over: state sending.
-- KEYS[1]  the shard's fence
-- ARGV     for each intent six words: id, customer, lane, token, entry, record
-- Returns  {mark, then for each intent 1 if the claim was still held (and its lease had not ended), else 0}
-- Has no allow-oom: what cannot be recorded is not begun.
local prefix = string.sub(KEYS[1], 1, -6)
local BASE = 9000000000000000
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local out, any = {'0'}, false

-- Looks at every key before the first write. While a cluster moves the slot, a key that has gone ahead is an error here, when
-- nothing has been done yet, and not half way through.
local touched = {}
local function touch(name)
  if not touched[name] then
    redis.call('EXISTS', prefix .. name)
    touched[name] = true
  end
end
touch('mark')
touch('renewed')

for i = 1, #ARGV, 6 do
  local id, customer, lane, token, entry, record = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
  local ledger = prefix .. 'ledger:' .. customer
  local old = redis.call('HGET', ledger, id)
  local day = string.sub(old or entry, 4, 8)
  local score = tonumber(redis.call('ZSCORE', prefix .. 'due:' .. lane, id .. day .. customer) or '0')
  local held = score < 0 and score > now - BASE
  if held and score ~= tonumber(token) - BASE then
    held = redis.call('HGET', prefix .. 'renewed', id) == token .. ' ' .. string.format('%.0f', score)
  end
  if held then
    touch('msg:' .. day)
    redis.call('HSET', prefix .. 'msg:' .. day, id, record)
    redis.call('HSET', ledger, id, string.sub(entry, 1, 3) .. day .. string.sub(entry, 9))
    out[#out + 1] = 1
    any = true
  else
    out[#out + 1] = 0
  end
end
if any then
  out[1] = tostring(redis.call('INCR', prefix .. 'mark'))
else
  out[1] = redis.call('GET', prefix .. 'mark') or '0'
end
return out
