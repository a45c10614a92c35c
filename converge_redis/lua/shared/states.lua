-- The transitions between the states of a task; each moves it between the indexes that the states demand.
--@include shared/indexes
--@include shared/alarm
--@include shared/reply

local DEFAULT_RETENTION = 86400 * 1000000

-- Makes a task pending, claimable from `due` on (0: at once). Its record must be out of all indexes.
local function enter_pending(id, record, due, fields)
  fields.state = "pending"
  if due > now then
    fields.due = int(due)
    redis.call("ZADD", delayed, fields.due, id)
    expect(due)
  end
  change(id, record, fields)
  redis.call("HINCRBY", counts, "pending", 1)
  if not record.due then
    enter_lane(id, record)
  end
end

-- A claim ends when its lease runs out, at the latest `timeout` after it began; without either, never.
local function lease_end(record, claimed)
  local ends = record.ttl and now + tonumber(record.ttl)
  local latest = record.timeout and claimed + tonumber(record.timeout)
  return ends and latest and math.min(ends, latest) or ends or latest or nil
end

local function set_lease(id, record, claimed, fields)
  local ends = lease_end(record, claimed)
  if ends then
    fields.lease = int(ends)
    expect(ends)
  end
  redis.call("ZADD", leases, fields.lease or "+inf", id)
end

-- pending -> assigned. Tokens only grow, also when the server's clock was set back. The listener ("": none)
-- is told when the claim ends by somebody else's doing.
local function assign(id, record, agent, call, listener)
  leave(id, record)
  local token = int(math.max(tonumber(record.token or 0) + 1, now))
  local fields = {
    state = "assigned",
    agent = agent,
    token = token,
    claimed = int(now),
    attempts = int(tonumber(record.attempts or 0) + 1),
    calls = remember(record, call),
  }
  if listener ~= "" then
    fields.listener = listener
  end
  set_lease(id, record, now, fields)
  change(id, record, fields)
  redis.call("ZADD", claims .. agent, token, id)
  redis.call("HINCRBY", counts, "assigned", 1)
end

-- Tells the holder, if somebody listens for it, that its claim ends by somebody else's doing.
local function tell_holder(id, record)
  if record.listener then
    tell(record.listener, "lost " .. record.token .. " " .. id)
  end
end

-- assigned, running -> pending: given back, or expired.
local function unassign(id, record, due, fields)
  leave(id, record)
  fields.last_agent = record.agent
  drop(id, record, { "agent", "claimed", "lease", "listener" })
  enter_pending(id, record, due, fields)
end

-- Tells those who wait for a task that it has ended, with the whole of it unless that is much.
local MOST_TOLD_BYTES = 16 * 1024

local function tell_watchers(id, record)
  local key = watchers .. id
  local heard = redis.call("SMEMBERS", key)
  if #heard == 0 then
    return
  end
  redis.call("DEL", key)
  local parts = { "done" }
  local size = redis.call("STRLEN", specs .. id) + redis.call("STRLEN", results .. id)
  local row = size <= MOST_TOLD_BYTES and task_reply(id, record) or { id }
  for i = 1, #row, 1 do
    local part = row[i] or ""
    parts[i + 1] = #part .. ":" .. part
  end
  local message = table.concat(parts, " ")
  for _, listener in ipairs(heard) do
    tell(listener, message)
  end
end

-- pending, assigned, running -> completed, failed, cancelled; tells those who wait.
local function settle(id, record, state, fields)
  leave(id, record)
  if record.deadline then
    redis.call("ZREM", deadlines, id)
  end
  fields.state = state
  fields.finished = int(now)
  change(id, record, fields)
  if record.lease or record.listener then
    drop(id, record, { "lease", "listener" })
  end
  redis.call("HINCRBY", counts, state, 1)
  redis.call("ZADD", finished, int(now + tonumber(record.retention or DEFAULT_RETENTION)), id)
  tell_watchers(id, record)
end
