-- report: assigned, running -> completed, by the holder, with the result, for one task or several.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   the most finished tasks to keep in the shard, or ""
-- ARGV[…]   for each task: id, agent id, claim token or "" to know the holder by its agent id, and result
--           (msgpack)
-- Reply     {"OK", outcome, …}, for each task {"ACCEPTED"}: stored now, or by the same report before |
--           {"UNKNOWN"} | {"UNREADABLE"} | a refusal (tasks/require_holder)
--@include tasks/require_holder

local most = ARGV[1]

-- Returns why a task cannot be completed, or that it is; nil where it is to be.
local function outcome(id, agent, token, result, record)
  if not record then
    return { "UNKNOWN" }
  elseif
    record.state == "completed"
    and is_holder(record, agent, token)
    and result_of(id, record) == result
  then
    return { "ACCEPTED" }
  end
  return refusal(record, agent, token)
end

local reply = { "OK" }
local done, held, entries = {}, {}, {} -- records; ids by agent; what enters `finished`
local left = {} -- how many leave each state
for i = 2, #ARGV, 4 do
  local id, agent, token, result = unpack(ARGV, i, i + 3)
  local is_read, record = try_load(id)
  local told = { "UNREADABLE" }
  if is_read then
    told = outcome(id, agent, token, result, record)
  end
  if not told then
    told = { "ACCEPTED" }
    left[record.state] = (left[record.state] or 0) + 1
    held[agent] = held[agent] or {}
    table.insert(held[agent], id)
    if #(record.calls or "") <= CALL_LENGTH then
      record.calls = nil -- of calls only this claim is known, and its result tells enough
    end
    entries[#entries + 1] = finish(id, record, "completed", result)
    entries[#entries + 1] = id
    done[#done + 1] = record
  end
  reply[#reply + 1] = told
end
if #done > 0 then
  for agent, members in pairs(held) do
    redis.call("ZREM", leases, unpack(members))
    redis.call("ZREM", claims .. agent, unpack(members))
  end
  for state, number in pairs(left) do
    count(state, -number)
  end
  count("completed", #done)
  redis.call("ZADD", finished, unpack(entries))
  for i, record in ipairs(done) do
    notify_watchers(entries[2 * i], record)
  end
  for _ = 1, most ~= "" and #done or 0 do -- when all are told: it may be one of them that goes
    lazy.evict_finished(most)
  end
end
return reply
