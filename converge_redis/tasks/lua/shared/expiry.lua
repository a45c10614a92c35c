-- The transitions that are due at a time: a claim expires, a delay ends, a deadline passes. No background
-- process makes them: each script applies what is due to a task before it reads or changes the task.
--@include tasks/claim_transitions

-- At maxmemory Redis rejects a script's first command that may use memory, but no command after the script
-- has written. So begin with a harmless write: finishing accepted tasks must work on a full server, or it
-- would never get room again. `submit` has no such write: a full server must reject new tasks.
redis.call("DEL", base .. "nothing")

local MAX_LOST_CLAIMS = 10

-- Return the last expired claims with the current one appended: one line of JSON each, all values as text.
local function with_lost_claim(record, expiries)
  local line = cjson.encode({
    agent = record.agent,
    token = record.token,
    claimed = record.claimed,
    lease = record.lease,
    ended = int(now),
  })
  if not record.lost then
    return line
  end
  local kept = record.lost
  if expiries > MAX_LOST_CLAIMS then
    kept = string.sub(kept, string.find(kept, "\n", 1, true) + 1)
  end
  return kept .. "\n" .. line
end

-- Expire a claim: the task becomes pending, or failed after more expiries than `retries` allows.
local function expire(id, record)
  notify_holder(id, record)
  local expiries = tonumber(record.expiries or 0) + 1
  record.lost = with_lost_claim(record, expiries)
  record.expiries, record.has_optional = int(expiries), true
  if record.retries and expiries > tonumber(record.retries) then
    record.failure = "max_retries"
    settle(id, record, "failed")
  else
    end_claim(id, record, 0)
  end
end

local function leave_delayed(id, record)
  redis.call("ZREM", delayed, id)
  record.due = nil
  save(id, record)
  enter_lane(record.lane, { lane_score(record.priority), id })
end

-- Apply what is due to one task. A lease has expired if it ends at `lease_limit` or before.
local function apply_due(id, record, lease_limit)
  if is_terminal(record) then
    return
  end
  if record.deadline and tonumber(record.deadline) <= now then
    lazy.notify_holder(id, record)
    record.failure, record.has_optional = "deadline", true
    lazy.settle(id, record, "failed")
  elseif record.lease and tonumber(record.lease) <= lease_limit then
    lazy.expire(id, record)
  elseif record.due and tonumber(record.due) <= now then
    lazy.leave_delayed(id, record)
  end
end

-- Load a task, and apply what is due to it.
local function load_current(id)
  local record = load(id)
  if record then
    apply_due(id, record, now)
  end
  return record
end

-- Load a task for a call that changes it. Returns the record; and the reply where the task is unknown, or
-- where the call is a retry and has changed it before (`done`).
local function load_for_call(id, call_id, done)
  local record = load_current(id)
  if not record then
    return nil, { "UNKNOWN" }
  end
  return record, seen_call(record, call_id) and { done } or nil
end
