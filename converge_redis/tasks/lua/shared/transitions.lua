-- The transitions to pending and to terminal states. Each moves the task between the indexes of the states.
--@include tasks/indexes
--@include tasks/due_timer
--@include tasks/task_messages

local DEFAULT_RETENTION = 86400 * 1000000 -- as in converge_redis/core/namespace.py
local default_deletion = int(now + DEFAULT_RETENTION)

local function enter_delayed(id, due)
  redis.call("ZADD", delayed, int(due), id)
  schedule_due(due)
end

-- Make a task pending, claimable from the time `due` on (0: at once). The caller has removed it from all
-- indexes but `deadlines`.
local function enter_pending(id, record, due)
  count("pending", 1)
  record.state = "pending"
  if due > now then
    record.due, record.has_optional = int(due), true
    save(id, record)
    enter_delayed(id, due)
  else
    save(id, record)
    enter_lane(record.lane, { lane_score(record.priority), id })
  end
end

-- Save a task as completed, failed or cancelled, with a result or nil. Returns its score in `finished`: the
-- time at which it is deleted. The caller removes it from the indexes of its previous state, adds it to
-- `finished`, and notifies its watchers.
local function save_finished(id, record, state, result)
  if record.deadline then
    redis.call("ZREM", deadlines, id)
  end
  if result and #result <= MAX_INLINE_BYTES then
    record.payloads = record.payloads .. result
  elseif result then
    redis.call("SET", results .. id, result)
  end
  record.state = state
  record.finished = now_text
  record.lease, record.listener = nil, nil
  save(id, record)
  return record.retention and int(now + tonumber(record.retention)) or default_deletion
end

-- pending, assigned, running -> completed, failed, cancelled
local function settle(id, record, state, result)
  leave_indexes(id, record)
  redis.call("ZADD", finished, save_finished(id, record, state, result), id)
  count(state, 1)
  notify_watchers(id, record)
end
