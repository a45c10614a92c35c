-- audit: checks entries of a shard: is each task in exactly the indexes that its state demands?
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[…]   pairs: an id, and the sorted set in which it was found, or "" for a task's own keys
-- Reply     {"OK", id, kind, detail, id, kind, detail, …}: the violations
--@include tasks/transitions

local reply = { "OK" }

local function violation(id, kind, detail)
  reply[#reply + 1] = id
  reply[#reply + 1] = kind
  reply[#reply + 1] = detail
end

-- Returns the sorted sets that must hold the task, each with the score that it must have there. What a broken
-- record lacks must not end the audit.
local function demanded(record)
  local places = {}
  if is_claimed(record) then
    places[leases] = tonumber(record.lease) or math.huge
    places[claims .. (record.agent or "")] = tonumber(record.token or 0)
  elseif record.due then
    places[delayed] = tonumber(record.due)
  elseif record.state == "pending" then
    places[lane_prefix .. (record.lane or "")] = 0 - tonumber(record.priority or 0)
  elseif is_terminal(record) then
    places[finished] = tonumber(record.finished or 0) + tonumber(record.retention or DEFAULT_RETENTION)
  end
  if record.deadline and not is_terminal(record) then
    places[deadlines] = tonumber(record.deadline)
  end
  return places
end

local function check_task(id, record)
  if record.state ~= "pending" and not is_claimed(record) and not is_terminal(record) then
    violation(id, "unknown_state", record.state or "")
  end
  for place, score in pairs(demanded(record)) do
    local found = redis.call("ZSCORE", place, id)
    if not found then
      violation(id, "missing_entry", place)
    elseif tonumber(found) ~= score then
      violation(id, "wrong_score", place)
    end
  end
  if record.state == "pending" and not record.due and not redis.call("ZSCORE", lanes, record.lane or "") then
    violation(id, "missing_lane", record.lane or "")
  end
  if not spec_of(id, record) then
    violation(id, "missing_spec", specs .. id)
  end
  local has_result = #record.payloads > (record.size or 0) or redis.call("EXISTS", results .. id) == 1
  if record.state == "completed" and not has_result then
    violation(id, "missing_result", results .. id)
  end
  if has_result and record.state ~= "completed" and record.state ~= "failed" then
    violation(id, "unexpected_result", results .. id)
  end
end

for i = 1, #ARGV, 2 do
  local id, place = ARGV[i], ARGV[i + 1]
  if place == lanes then
    if redis.call("ZSCORE", lanes, id) and redis.call("EXISTS", lane_prefix .. id) == 0 then
      violation(id, "empty_lane", lanes)
    end
  else
    local is_read, record = pcall(load, id)
    local gone = place ~= "" and not redis.call("ZSCORE", place, id)
    if not is_read then
      violation(id, "unreadable", tasks .. id)
    elseif place == "" and record then
      check_task(id, record)
    elseif place == "" and redis.call("EXISTS", specs .. id, results .. id) > 0 then
      violation(id, "orphan", specs .. id)
    elseif not gone and place ~= "" and not (record and demanded(record)[place]) then
      violation(id, "unexpected_entry", place)
    end
  end
end
return reply
