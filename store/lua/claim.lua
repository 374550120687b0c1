#!lua
-- Leases messages, at most one of a customer: the next one's caps depend on how this one ends.
-- KEYS[1]  the shard's fence: the last token
-- ARGV[1]  now, ms of the daemon's clock
-- ARGV[2]  length of the lease, µs of Redis' clock
-- ARGV[3]  how many at most; 0 only looks
-- ARGV[4]  due, or suspects: those whose lease ended
-- ARGV[5…] lanes, the most urgent first
-- Returns  {watermark, token, 1 if a lease has ended, 0 if no suspect waits, more that are due, then for each: lane|ref record crashes}
-- No allow-oom: a full Redis hands out no work whose outcome could not be recorded. Run twice it leases others the second time.
local prefix, call = string.sub(KEYS[1], 1, -6), redis.call
local busy, leased, msg = prefix .. 'busy', prefix .. 'leased', prefix .. 'msg:'
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local ends = string.format('%.0f', now + ARGV[2])
local token = string.format('%.0f', math.max(now + ARGV[2], (call('GET', KEYS[1]) or 0) + 1)) -- none is given twice
local most, from = tonumber(ARGV[3]), ARGV[4]
local upto, n, seen, waiting, due = from == 'due' and ARGV[1] or '+inf', 0, {}, {}, 0
local ended = call('ZRANGEBYSCORE', leased, '-inf', string.format('%.0f', now), 'LIMIT', 0, 1)
local out, refs, leases, holders, days = {call('GET', prefix .. 'watermark') or '0', token, #ended}, {}, {}, {}, {}
for i = 5, #ARGV do
  local lane, at = ARGV[i], 0
  refs[lane] = {}
  waiting[i - 4] = prefix .. 'suspects:' .. lane
  due = due + call('ZCOUNT', prefix .. 'due:' .. lane, '-inf', ARGV[1])
  while n < most and at < 8 * (most + 8) do
    local page, parts, customers = call('ZRANGEBYSCORE', prefix .. from .. ':' .. lane, '-inf', upto, 'LIMIT', at, most - n + 8), {}, {}
    if #page == 0 then break end
    at = at + #page
    for j, ref in ipairs(page) do parts[2 * j], parts[2 * j + 1], customers[j] = string.match(ref, '^([^|]*)|?([^|]*)|?(.*)') end
    for j, holder in ipairs(call('HMGET', busy, unpack(customers))) do
      local ref, id, day, customer = page[j], parts[2 * j], parts[2 * j + 1], customers[j]
      if n < most and not holder and not seen[customer] then
        local member, list = lane .. '|' .. ref, days[day] or {ids = {}, at = {}}
        n, seen[customer], refs[lane][#refs[lane] + 1] = n + 1, true, ref
        leases[2 * n - 1], leases[2 * n], holders[2 * n - 1], holders[2 * n] = ends, member, customer, id .. '|' .. token
        out[3 * n + 3], out[3 * n + 5] = member, from == 'suspects' and call('HGET', prefix .. 'crashes', id) or '0'
        days[day], list.ids[#list.ids + 1], list.at[#list.at + 1] = list, id, 3 * n + 4
      end
    end
  end
end
out[4], out[5] = call('EXISTS', unpack(waiting)), due - (from == 'due' and n or 0)
if n == 0 then return out end
for day, list in pairs(days) do for j, record in ipairs(call('HMGET', msg .. day, unpack(list.ids))) do out[list.at[j]] = record or '' end end
call('SET', KEYS[1], token) -- every key has been read before this first write: see complete.lua
for lane, list in pairs(refs) do if #list > 0 then call('ZREM', prefix .. from .. ':' .. lane, unpack(list)) end end
call('ZADD', leased, unpack(leases))
call('HSET', busy, unpack(holders))
return out
