-- What time alone does to tasks: claims expire, delays end, deadlines pass, finished tasks are deleted.
-- No daemon does it: every script brings a task up to date before it acts on it, and claims sweep a few more.
--@include tasks/transitions

-- A full server refuses what may take memory until a script has written something. What goes on with tasks
-- that were accepted must not be refused, or a full server could never be emptied; so a write that does
-- nothing comes first. `submit` does without.
redis.call("DEL", base .. "nothing")

local LOST_CLAIMS_KEPT = 10

-- An expired claim counts as pending; more of them than `retries` allows fail the task.
local function expire(id, record)
  -- Keeps what is told of the last expired claims: one line of JSON each, all values as text.
  local function lost_claims(record, expiries)
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
    if expiries > LOST_CLAIMS_KEPT then
      kept = string.sub(kept, string.find(kept, "\n", 1, true) + 1)
    end
    return kept .. "\n" .. line
  end

  notify_holder(id, record)
  local expiries = tonumber(record.expiries or 0) + 1
  record.lost = lost_claims(record, expiries)
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
  enter_lane(record.lane, { score_of(record.priority), id })
end

-- Brings one task up to date: `at` is the time that leases are held against.
local function apply_due(id, record, at)
  if is_terminal(record) then
    return
  end
  if record.deadline and tonumber(record.deadline) <= now then
    lazy.notify_holder(id, record)
    record.failure, record.has_optional = "deadline", true
    lazy.settle(id, record, "failed")
  elseif record.lease and tonumber(record.lease) <= at then
    lazy.expire(id, record)
  elseif record.due and tonumber(record.due) <= now then
    lazy.leave_delayed(id, record)
  end
end

local function load_current(id)
  local record = load(id)
  if record then
    apply_due(id, record, now)
  end
  return record
end

-- The same where one record that cannot be read must not stop the work on others. Returns first whether it
-- could be read.
local function try_load(id)
  return pcall(load_current, id)
end

-- Tells those who keep copies of a finished task that it is that no more, or has gone: they watch this key.
local function reopen(id)
  redis.call("SET", reopened .. id, "", "PX", 1)
end

-- Deletes a finished task whose retention is over.
local function delete_task(id, record)
  -- First what frees memory: a full server refuses the rest until a script has written.
  redis.call("DEL", tasks .. id, specs .. id, results .. id)
  leave(id, record)
end

-- Deletes finished tasks where there are more than `most`, those first whose retention ends
-- first. Whatever settles a task calls it, so two at a time are enough.
local EVICTED_PER_CALL = 2

local function evict_finished(most)
  local surplus = redis.call("ZCARD", finished) - tonumber(most)
  if surplus > 0 then
    for _, id in ipairs(redis.call("ZRANGE", finished, 0, math.min(surplus, EVICTED_PER_CALL) - 1)) do
      local record = load_readable(id)
      if record then
        delete_task(id, record)
        reopen(id)
      else
        redis.call("ZREM", finished, id)
      end
    end
  end
end

-- Does a bounded part of what is due in the whole shard. An entry without a record that can be read (the
-- server evicted it, or somebody deleted or overwrote it) is dropped, so that it cannot hold up the others.
local DUE_PER_INDEX = 16

local function process_due_index(index)
  local due = redis.call("ZRANGEBYSCORE", index, "-inf", now_text, "LIMIT", 0, DUE_PER_INDEX)
  for _, id in ipairs(due) do
    local record = load_readable(id)
    if not record then
      redis.call("ZREM", index, id)
    elseif index == finished then
      delete_task(id, record)
    else
      apply_due(id, record, now)
    end
  end
  return #due == DUE_PER_INDEX
end

-- Returns when the next delay or lease ends, and whether there may be more to do.
local function sweep_due()
  local soonest, has_cleared, more = NEVER, false, false
  for i, index in ipairs({ finished, deadlines, leases, delayed }) do -- first what frees memory
    local first = tonumber(redis.call("ZRANGE", index, 0, 0, "WITHSCORES")[2])
    if first and first <= now then
      has_cleared, more = true, lazy.process_due_index(index) or more
    elseif first and i > 2 then
      soonest = math.min(soonest, first)
    end
  end
  return has_cleared and next_due() or soonest, more
end
