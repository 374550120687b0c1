#!lua flags=allow-oom
-- Takes everything of a customer out of the shard, and leaves a tombstone.
-- KEYS[1]  the shard's fence
-- ARGV[1]  the customer
-- ARGV[2]  the overlay that was read, '' = there was none, or the ledger is no hash
-- ARGV[3]  the tombstone
-- ARGV[4…] all lanes
-- Returns  1, or 0 if the overlay was changed in between: then nothing has been done
-- allow-oom: it frees memory, and the law does not wait until Redis has some. Run twice it finds nothing the second time.
local prefix, call, customer, tombstone = string.sub(KEYS[1], 1, -6), redis.call, ARGV[1], ARGV[3]
local ledger = prefix .. 'ledger:' .. customer
local there = (call('TYPE', ledger).ok or call('TYPE', ledger)) == 'hash'
local overlay = there and call('HGET', ledger, '+') or ''
if overlay ~= ARGV[2] and overlay ~= tombstone then return 0 end
local flat, every = there and call('HGETALL', ledger) or {}, call('ZRANGE', prefix .. 'days', 0, -1)
local ids, refs, days = {}, {}, {}
for i = 1, #flat, 2 do
  local id, day = flat[i], string.match(flat[i + 1], '^...(%d%d%d%d%d)')
  ids[#ids + 1] = id ~= '+' and id or nil
  for _, d in ipairs(id == '+' and {} or day and day ~= '00000' and {day} or every) do -- of a damaged entry nobody knows the day
    refs[#refs + 1] = id .. '|' .. d .. '|' .. customer
    days[d] = days[d] or {}
    table.insert(days[d], id)
  end
end
local sets, leased = {[prefix .. 'uncertain'] = refs, [prefix .. 'failed'] = refs}, {}
local hashes = {[prefix .. 'crashes'] = ids, [prefix .. 'early'] = ids, [prefix .. 'busy'] = {customer}}
for day, list in pairs(days) do hashes[prefix .. 'msg:' .. day] = list end
for i = 4, #ARGV do
  sets[prefix .. 'due:' .. ARGV[i]], sets[prefix .. 'suspects:' .. ARGV[i]] = refs, refs
  for _, ref in ipairs(refs) do leased[#leased + 1] = ARGV[i] .. '|' .. ref end
end
sets[prefix .. 'leased'] = leased
local function each(command, keys) -- in pieces: Lua passes some thousands of words at once
  for key, words in pairs(keys) do
    for i = 1, #words, 1000 do call(command, key, unpack(words, i, math.min(i + 999, #words))) end
  end
end
for _, keys in ipairs({sets, hashes, {[prefix .. 'watermark'] = 1}}) do for key in pairs(keys) do call('EXISTS', key) end end
each('ZREM', sets)
each('HDEL', hashes)
local gone = call('DEL', prefix .. 'log:' .. customer) + #ids
if there and #ids == 0 and overlay == tombstone and gone == 0 then return 1 end
call('DEL', ledger)
call('HSET', ledger, '+', tombstone)
call('INCR', prefix .. 'watermark') -- a snapshot from before would bring the customer back: it must show that it is older
return 1
