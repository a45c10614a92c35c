-- The transitions between the states of a task; each moves it between the indexes that the states demand.
--@include tasks/indexes
--@include tasks/due_timer
--@include tasks/reply

local DEFAULT_RETENTION = 86400 * 1000000
local default_end = int(now + DEFAULT_RETENTION)

local function enter_delayed(id, due)
  redis.call("ZADD", delayed, int(due), id)
  schedule_due(due)
end

-- Makes a record pending, claimable from `due` on (0: at once). It must be out of all indexes.
local function enter_pending(id, record, due)
  count("pending", 1)
  record.state = "pending"
  if due > now then
    record.due, record.has_optional = int(due), true
    save(id, record)
    enter_delayed(id, due)
  else
    save(id, record)
    enter_lane(record.lane, { score_of(record.priority), id })
  end
end

-- A claim ends when its lease runs out, at the latest `timeout` after it began; without either, never.
local function set_lease(record)
  local ends = record.ttl and now + tonumber(record.ttl)
  local latest = record.timeout and tonumber(record.claimed) + tonumber(record.timeout)
  ends = ends and latest and math.min(ends, latest) or ends or latest or nil
  if ends then
    record.lease = int(ends)
    schedule_due(ends)
  end
end

-- Makes a record assigned; or running, for a claimer that begins at once. It is still to leave its lane,
-- unless it has, and to enter the indexes of claims. Tokens only grow, also when the server's clock was set
-- back. The listener ("": none) is told when the claim ends by somebody else's doing.
local function start_claim(id, record, agent, call, listener, state)
  record.state = state
  record.agent = agent
  record.token = record.token and int(math.max(tonumber(record.token) + 1, now)) or now_text
  record.claimed = now_text
  record.has_optional = record.has_optional or record.token ~= now_text
  record.attempts = record.attempts and int(tonumber(record.attempts) + 1) or "1"
  record.calls = push_call(record, call)
  record.listener = listener ~= "" and listener or nil
  set_lease(record)
  save(id, record)
end

-- pending -> assigned
local function assign(id, record, agent, call)
  leave(id, record)
  start_claim(id, record, agent, call, "", "assigned")
  redis.call("ZADD", leases, record.lease or "+inf", id)
  redis.call("ZADD", claims .. agent, record.token, id)
  count("assigned", 1)
end

-- Tells the holder, if somebody listens for it, that its claim ends by somebody else's doing.
local function notify_holder(id, record)
  if record.listener then
    notify(record.listener, "lost " .. record.token .. " " .. id)
  end
end

-- assigned, running -> pending: given back, or expired.
local function end_claim(id, record, due)
  leave(id, record)
  record.last_agent, record.has_optional = record.agent, true
  record.agent, record.claimed, record.lease, record.listener = nil, nil, nil, nil
  enter_pending(id, record, due)
end

-- Tells those who wait for a task that it has ended, with the whole of it unless that is much.
local MAX_MESSAGE_BYTES = 16 * 1024
local LISTENERS_PER_POP = 1000

local function notify_watchers(id, record)
  local heard = redis.call("SPOP", watchers .. id, LISTENERS_PER_POP)
  if #heard == 0 then
    return
  end
  local parts = { "done" }
  local size = #record.text
  size = record.size and size or size + redis.call("STRLEN", specs .. id)
  size = #record.payloads > (record.size or 0) and size or size + redis.call("STRLEN", results .. id)
  local row = size <= MAX_MESSAGE_BYTES and task_reply(id, record) or { id }
  for i, part in ipairs(row) do
    parts[i + 1] = #(part or "") .. ":" .. (part or "")
  end
  local message = table.concat(parts, " ")
  repeat
    for _, listener in ipairs(heard) do
      notify(listener, message)
    end
    heard = #heard < LISTENERS_PER_POP and {} or redis.call("SPOP", watchers .. id, LISTENERS_PER_POP)
  until #heard == 0
end

-- Makes a record completed, failed or cancelled, with a result or nil. Returns when its retention ends: it is
-- still to leave the indexes of its state before, unless it has, and to enter `finished`; its watchers are
-- still to be told.
local function finish(id, record, state, result)
  if record.deadline then
    redis.call("ZREM", deadlines, id)
  end
  if result then
    put_result(id, record, result)
  end
  record.state = state
  record.finished = now_text
  record.lease, record.listener = nil, nil
  save(id, record)
  return record.retention and int(now + tonumber(record.retention)) or default_end
end

-- pending, assigned, running -> completed, failed, cancelled; tells those who wait.
local function settle(id, record, state, result)
  leave(id, record)
  redis.call("ZADD", finished, finish(id, record, state, result), id)
  count(state, 1)
  notify_watchers(id, record)
end
