#!lua
-- Leases messages, at most one of a customer: the next one's caps depend on how this one ends.
-- KEYS[1]  the shard's fence: the last token
-- ARGV[1]  now, ms of the daemon's clock
-- ARGV[2]  length of the lease, µs of Redis' clock
-- ARGV[3]  how many at most; 0 only looks
-- ARGV[4]  due, or suspects: those whose lease ended
-- ARGV[5…] lanes, the most urgent first
-- Returns  {watermark, token, 1 if a lease has ended, suspects that wait, more that are due, then for each: lane ref record crashes}
-- No allow-oom: a full Redis hands out no work whose outcome could not be recorded. Run twice it leases others the second time.
local prefix, call = string.sub(KEYS[1], 1, -6), redis.call
local busy, leased, msg = prefix .. 'busy', prefix .. 'leased', prefix .. 'msg:'
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local most, from = tonumber(ARGV[3]), ARGV[4]
local upto, taken, seen, suspects, due = from == 'due' and ARGV[1] or '+inf', {}, {}, 0, 0
for i = 5, #ARGV do
  local lane, at = ARGV[i], 0
  suspects = suspects + call('ZCARD', prefix .. 'suspects:' .. lane)
  due = due + call('ZCOUNT', prefix .. 'due:' .. lane, '-inf', ARGV[1])
  while #taken < most and at < 8 * (most + 8) do
    local page, customers = call('ZRANGEBYSCORE', prefix .. from .. ':' .. lane, '-inf', upto, 'LIMIT', at, most - #taken + 8), {}
    if #page == 0 then break end
    at = at + #page
    for j, ref in ipairs(page) do customers[j] = string.match(ref, '[^|]*$') end
    for j, holder in ipairs(call('HMGET', busy, unpack(customers))) do
      if #taken < most and not holder and not seen[customers[j]] then
        seen[customers[j]] = true
        taken[#taken + 1] = {lane = lane, ref = page[j], customer = customers[j]}
      end
    end
  end
end
local ended = call('ZRANGEBYSCORE', leased, '-inf', string.format('%.0f', now), 'LIMIT', 0, 1)
local ends = string.format('%.0f', now + ARGV[2])
local token = string.format('%.0f', math.max(now + ARGV[2], (call('GET', KEYS[1]) or 0) + 1)) -- none is given twice
local out = {call('GET', prefix .. 'watermark') or '0', token, #ended, suspects, due - (from == 'due' and #taken or 0)}
for _, t in ipairs(taken) do -- every key is read before the first write: see complete.lua
  local id, day = string.match(t.ref, '^([^|]*)|([^|]*)')
  t.id, out[#out + 1], out[#out + 2], out[#out + 3] = id, t.lane, t.ref, call('HGET', msg .. day, id) or ''
  out[#out + 1] = from == 'suspects' and call('HGET', prefix .. 'crashes', id) or '0'
end
if #taken > 0 then call('SET', KEYS[1], token) end
for _, t in ipairs(taken) do
  call('ZREM', prefix .. from .. ':' .. t.lane, t.ref)
  call('ZADD', leased, ends, t.lane .. '|' .. t.ref)
  call('HSET', busy, t.customer, t.id .. '|' .. token)
end
return out
