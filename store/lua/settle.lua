#!lua flags=allow-oom
-- Records how claims ended.
-- KEYS[1]  the shard's fence
-- ARGV[1]  '1' if the server is one of a cluster
-- ARGV[2]  how many hands the results are of
-- then for each hand its token, the day of its results and how many they are, and for each of these four words: customer, id, ledger entry,
-- record; id '' where nothing is to be recorded of the message
-- then the commands that put them where they belong, all below the shard's prefix: for each how many words it has, its name, its key, the rest
-- Returns  {mark} if all is recorded, else {mark, then for each result 1, or 2 if a receipt came before it, 0 if the claim was not ours any
--           more, or -1: nothing was done because of another one that was not ours; ask again without that}
-- allow-oom: what was sent must be recorded even when Redis is full. Run twice it finds its own record and answers the same.
local prefix = string.sub(KEYS[1], 1, -6)
local call = redis.call
local flight, out = prefix .. 'flight', {call('GET', prefix .. 'mark') or '0'}

-- Where each hand's results begin among the words, and who their customers are.
local groups, customers, i, all = {}, {}, 3, 0
for g = 1, tonumber(ARGV[2]) do
  local n = tonumber(ARGV[i + 2])
  groups[g] = {token = ARGV[i], msg = prefix .. 'msg:' .. ARGV[i + 1], n = n, from = i + 3}
  for j = i + 3, i + 2 + 4 * n, 4 do
    all = all + 1
    customers[all] = ARGV[j]
  end
  i = i + 3 + 4 * n
end
local commands = i

local flights, ours, at = call('HMGET', flight, unpack(customers)), true, 0
for _, g in ipairs(groups) do
  local token = g.token
  for i = at + 1, at + g.n do
    if flights[i] ~= token then ours = false end
  end
  at = at + g.n
end
if not ours then
  at = 1
  for _, g in ipairs(groups) do
    for j = g.from, g.from + 4 * g.n - 1, 4 do
      if flights[at] == g.token then
        out[at + 1] = -1
      else
        -- Not ours any more, unless it is our own word of before.
        out[at + 1] = ARGV[j + 1] ~= '' and call('HGET', g.msg, ARGV[j + 1]) == ARGV[j + 3] and 1 or 0
      end
      at = at + 1
    end
  end
  return out
end

if ARGV[1] == '1' then
  -- Looks at every key before the first write. While a cluster moves the slot, a key that has gone ahead is an error here, when
  -- nothing has been done yet, and not half way through.
  local keys = {prefix .. 'early', prefix .. 'left', prefix .. 'hands'}
  for _, g in ipairs(groups) do
    keys[#keys + 1] = g.msg
    keys[#keys + 1] = prefix .. 'hand:' .. g.token
  end
  for j = 1, #customers do keys[#keys + 1] = prefix .. 'ledger:' .. customers[j] end
  local i = commands
  while i <= #ARGV do
    keys[#keys + 1] = prefix .. ARGV[i + 2]
    i = i + 1 + tonumber(ARGV[i])
  end
  call('EXISTS', unpack(keys))
end

local ledger = prefix .. 'ledger:'
for _, g in ipairs(groups) do
  local records, k = {}, 1
  for j = g.from, g.from + 4 * g.n - 1, 4 do
    local id = ARGV[j + 1]
    if id ~= '' then
      call('HSET', ledger .. ARGV[j], id, ARGV[j + 2])
      records[k], records[k + 1] = id, ARGV[j + 3]
      k = k + 2
    end
  end
  if k > 1 then call('HSET', g.msg, unpack(records)) end
end
call('HDEL', flight, unpack(customers))
for _, g in ipairs(groups) do
  -- The last one of a hand ends it.
  if call('HINCRBY', prefix .. 'left', g.token, -g.n) <= 0 then
    call('ZREM', prefix .. 'hands', g.token)
    call('HDEL', prefix .. 'left', g.token, g.token .. '!')
    call('DEL', prefix .. 'hand:' .. g.token)
  end
end
i = commands
while i <= #ARGV do
  local words = tonumber(ARGV[i])
  call(ARGV[i + 1], prefix .. ARGV[i + 2], unpack(ARGV, i + 3, i + words))
  i = i + 1 + words
end
if call('EXISTS', prefix .. 'early') == 1 then
  local ids = {}
  for _, g in ipairs(groups) do
    for j = g.from, g.from + 4 * g.n - 1, 4 do ids[#ids + 1] = ARGV[j + 1] end
  end
  for j, receipt in ipairs(call('HMGET', prefix .. 'early', unpack(ids))) do out[j + 1] = receipt and 2 or 1 end
end
out[1] = tostring(call('INCR', prefix .. 'mark'))
return out
