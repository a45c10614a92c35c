-- Sweeping a shard: apply what is due to its tasks, a bounded part at a time. Each claim sweeps.
--@include tasks/expiry
--@include tasks/retention

local DUE_PER_INDEX = 16

-- Apply what is due in one index. An entry without a readable record (the server evicted the record, or
-- another program deleted or overwrote it) is dropped: it must not hold up the others. Returns whether there
-- may be more.
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

-- Apply what is due in all indexes; first `finished`, which frees memory. Returns when the next delay or
-- lease ends, and whether there may be more that is due.
local function sweep_due()
  local next_due_at, has_swept, more = NEVER, false, false
  for i, index in ipairs({ finished, deadlines, leases, delayed }) do
    local first = tonumber(redis.call("ZRANGE", index, 0, 0, "WITHSCORES")[2])
    if first and first <= now then
      has_swept, more = true, lazy.process_due_index(index) or more
    elseif first and i > 2 then
      next_due_at = math.min(next_due_at, first)
    end
  end
  return has_swept and next_due() or next_due_at, more
end
