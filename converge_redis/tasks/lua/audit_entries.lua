-- audit_entries: Check that tasks are in exactly the indexes that their states require (tasks/indexes).
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[…]   pairs: an id, and the index in which it was found; "": it was found as a key of a task
-- Reply     {"OK", id, kind, detail, id, kind, detail, …}: the violations
--@include tasks/transitions

local reply = { "OK" }

local function add_violation(id, kind, detail)
  reply[#reply + 1] = id
  reply[#reply + 1] = kind
  reply[#reply + 1] = detail
end

-- Return the indexes that must hold a task, each with its score there. A field that a corrupt record lacks
-- must not end the audit.
local function required_entries(record)
  local entries = {}
  if is_claimed(record) then
    entries[leases] = tonumber(record.lease) or math.huge
    entries[claims .. (record.agent or "")] = tonumber(record.token or 0)
  elseif record.due then
    entries[delayed] = tonumber(record.due)
  elseif record.state == "pending" then
    entries[lane_prefix .. (record.lane or "")] = 0 - tonumber(record.priority or 0)
  elseif is_terminal(record) then
    entries[finished] = tonumber(record.finished or 0) + tonumber(record.retention or DEFAULT_RETENTION)
  end
  if record.deadline and not is_terminal(record) then
    entries[deadlines] = tonumber(record.deadline)
  end
  return entries
end

local function check_task(id, record)
  if record.state ~= "pending" and not is_claimed(record) and not is_terminal(record) then
    add_violation(id, "unknown_state", record.state or "")
  end
  for index, score in pairs(required_entries(record)) do
    local found = redis.call("ZSCORE", index, id)
    if not found then
      add_violation(id, "missing_entry", index)
    elseif tonumber(found) ~= score then
      add_violation(id, "wrong_score", index)
    end
  end
  if record.state == "pending" and not record.due and not redis.call("ZSCORE", lanes, record.lane or "") then
    add_violation(id, "missing_lane", record.lane or "")
  end
  if not spec_of(id, record) then
    add_violation(id, "missing_spec", specs .. id)
  end
  local has_result = #record.payloads > (record.size or 0) or redis.call("EXISTS", results .. id) == 1
  if record.state == "completed" and not has_result then
    add_violation(id, "missing_result", results .. id)
  end
  if has_result and record.state ~= "completed" and record.state ~= "failed" then
    add_violation(id, "unexpected_result", results .. id)
  end
end

for i = 1, #ARGV, 2 do
  local id, index = ARGV[i], ARGV[i + 1]
  if index == lanes then
    if redis.call("ZSCORE", lanes, id) and redis.call("EXISTS", lane_prefix .. id) == 0 then
      add_violation(id, "empty_lane", lanes)
    end
  else
    local is_read, record = pcall(load, id)
    local has_left = index ~= "" and not redis.call("ZSCORE", index, id) -- since it was found there
    if not is_read then
      add_violation(id, "unreadable", tasks .. id)
    elseif index == "" and record then
      check_task(id, record)
    elseif index == "" and redis.call("EXISTS", specs .. id, results .. id) > 0 then
      add_violation(id, "orphan", specs .. id)
    elseif not has_left and index ~= "" and not (record and required_entries(record)[index]) then
      add_violation(id, "unexpected_entry", index)
    end
  end
end
return reply
