-- Deleting finished tasks.
--@include tasks/indexes

-- Invalidate the near entries of a finished task that is requeued or deleted: near caches watch this key.
local function invalidate_near_entries(id)
  redis.call("SET", reopened .. id, "", "PX", 1)
end

-- Delete a finished task. Free memory first: a full server rejects the other commands until a script has
-- written.
local function delete_task(id, record)
  redis.call("DEL", tasks .. id, specs .. id, results .. id)
  leave_indexes(id, record)
end

local EVICTED_PER_CALL = 2

-- Delete finished tasks beyond `max_finished`, those first whose retention ends first. Each script that
-- finishes a task calls it, so two at a time are enough.
local function evict_finished(max_finished)
  local surplus = redis.call("ZCARD", finished) - tonumber(max_finished)
  if surplus > 0 then
    for _, id in ipairs(redis.call("ZRANGE", finished, 0, math.min(surplus, EVICTED_PER_CALL) - 1)) do
      local record = load_readable(id)
      if record then
        delete_task(id, record)
        invalidate_near_entries(id)
      else
        redis.call("ZREM", finished, id)
      end
    end
  end
end
