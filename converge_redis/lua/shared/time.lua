-- What time alone does to tasks: claims expire, delays end, deadlines pass, finished tasks are deleted.
-- No daemon does it: every script brings a task up to date before it acts on it, and claims sweep a few more.
--@include shared/states

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

  tell_holder(id, record)
  local expiries = tonumber(record.expiries or 0) + 1
  record.lost = lost_claims(record, expiries)
  record.expiries, record.is_rare = int(expiries), true
  if record.retries and expiries > tonumber(record.retries) then
    record.failure = "max_retries"
    settle(id, record, "failed")
  else
    unassign(id, record, 0)
  end
end

-- Brings one task up to date: `at` is the time that leases are held against.
local function catch_up(id, record, at)
  if is_terminal(record) then
    return
  end
  if record.deadline and tonumber(record.deadline) <= now then
    tell_holder(id, record)
    record.failure, record.is_rare = "deadline", true
    settle(id, record, "failed")
  elseif record.lease and tonumber(record.lease) <= at then
    expire(id, record)
  elseif record.due and tonumber(record.due) <= now then
    redis.call("ZREM", delayed, id)
    record.due = nil
    save(id, record)
    enter_lane(record.lane, { score_of(record.priority), id })
  end
end

local function load_current(id)
  local record = load(id)
  if record then
    catch_up(id, record, now)
  end
  return record
end

-- Tells those who keep copies of a finished task that it is that no more, or has gone: they watch this key.
local function reopen(id)
  redis.call("SET", reopened .. id, "", "PX", 1)
end

-- Deletes a finished task whose retention is over.
local function purge(id, record)
  -- First what frees memory: a full server refuses the rest until a script has written.
  redis.call("DEL", tasks .. id, specs .. id, results .. id)
  leave(id, record)
end

-- Deletes finished tasks where there are more than `most` ("": no limit), those first whose retention ends
-- first. Whatever settles a task calls it, so two at a time are enough.
local TRIMMED = 2

local function trim(most)
  if most == "" then
    return
  end
  local surplus = redis.call("ZCARD", finished) - tonumber(most)
  if surplus > 0 then
    for _, id in ipairs(redis.call("ZRANGE", finished, 0, math.min(surplus, TRIMMED) - 1)) do
      local record = load(id)
      if record then
        purge(id, record)
        reopen(id)
      else
        redis.call("ZREM", finished, id)
      end
    end
  end
end

-- Does a bounded part of what is due in the whole shard. An entry without a record (the server evicted it, or
-- somebody deleted it) is dropped, so that it cannot hold up the others.
local SWEEP = 16

local function sweep_index(index, act)
  local due = redis.call("ZRANGEBYSCORE", index, "-inf", int(now), "LIMIT", 0, SWEEP)
  for _, id in ipairs(due) do
    local record = load(id)
    if record then
      act(id, record, now)
    else
      redis.call("ZREM", index, id)
    end
  end
  return #due == SWEEP
end

-- Returns whether there may be more to do.
local function sweep()
  local more = sweep_index(finished, purge) -- first, since it frees memory
  more = sweep_index(leases, catch_up) or more
  more = sweep_index(delayed, catch_up) or more
  return sweep_index(deadlines, catch_up) or more
end
