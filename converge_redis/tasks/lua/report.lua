-- report: Complete tasks with their results, for the holders of the claims (assigned, running -> completed).
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   the most finished tasks to keep in the shard, or ""
-- ARGV[…]   for each task: id, agent id, claim token or "": the agent id is enough, and result (msgpack)
-- Reply     {"OK", outcome, …}, for each task {"ACCEPTED"}: stored now, or by the same report before |
--           {"UNKNOWN"} | {"UNREADABLE"} | a refusal (tasks/require_holder)
--@include tasks/require_holder
--@include tasks/retention

local max_finished = ARGV[1]

-- Return the outcome for a task that cannot be completed, or that has this result already; else nil.
local function early_outcome(id, agent, token, result, record)
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
local completed, finished_entries = {}, {} -- records; what enters `finished`
local ids_by_agent, left_by_state = {}, {} -- what leaves the indexes of claims; how many leave each state
for i = 2, #ARGV, 4 do
  local id, agent, token, result = unpack(ARGV, i, i + 3)
  local is_read, record = pcall(load_current, id)
  local outcome = { "UNREADABLE" }
  if is_read then
    outcome = early_outcome(id, agent, token, result, record)
  end
  if not outcome then
    outcome = { "ACCEPTED" }
    left_by_state[record.state] = (left_by_state[record.state] or 0) + 1
    ids_by_agent[agent] = ids_by_agent[agent] or {}
    table.insert(ids_by_agent[agent], id)
    if #(record.calls or "") <= CALL_ID_LENGTH then
      record.calls = nil -- the only call is that of this claim, and a retry of it finds the task completed
    end
    finished_entries[#finished_entries + 1] = save_finished(id, record, "completed", result)
    finished_entries[#finished_entries + 1] = id
    completed[#completed + 1] = record
  end
  reply[#reply + 1] = outcome
end
if #completed > 0 then
  for agent, ids in pairs(ids_by_agent) do
    redis.call("ZREM", leases, unpack(ids))
    redis.call("ZREM", claims .. agent, unpack(ids))
  end
  for state, number in pairs(left_by_state) do
    count(state, -number)
  end
  count("completed", #completed)
  redis.call("ZADD", finished, unpack(finished_entries))
  for i, record in ipairs(completed) do
    notify_watchers(finished_entries[2 * i], record)
  end
  -- Evict after all watchers were notified: these tasks may be evicted, with the keys that messages need.
  for _ = 1, max_finished ~= "" and #completed or 0 do
    lazy.evict_finished(max_finished)
  end
end
return reply
