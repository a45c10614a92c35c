-- The transitions that begin and end a claim, and its lease.
--@include tasks/transitions

-- Set the end of the lease, from now on. It ends after `ttl`, but at most `timeout` after the claim began;
-- with neither, never.
local function set_lease(record)
  local ends = record.ttl and now + tonumber(record.ttl)
  local latest = record.timeout and tonumber(record.claimed) + tonumber(record.timeout)
  ends = ends and latest and math.min(ends, latest) or ends or latest or nil
  if ends then
    record.lease = int(ends)
    schedule_due(ends)
  end
end

-- Save a task as claimed: assigned, or running for a claimer that starts at once. The caller removes it from
-- its lane and adds it to the indexes of claims. Claim tokens only grow, even when the server's clock is set
-- back. `listener` ("": none) is notified when the claim ends without a call of its holder.
local function start_claim(id, record, agent, call_id, listener, state)
  record.state = state
  record.agent = agent
  record.token = record.token and int(math.max(tonumber(record.token) + 1, now)) or now_text
  record.claimed = now_text
  record.has_optional = record.has_optional or record.token ~= now_text
  record.attempts = record.attempts and int(tonumber(record.attempts) + 1) or "1"
  record.calls = push_call(record, call_id)
  record.listener = listener ~= "" and listener or nil
  set_lease(record)
  save(id, record)
end

-- pending -> assigned
local function assign(id, record, agent, call_id)
  leave_indexes(id, record)
  start_claim(id, record, agent, call_id, "", "assigned")
  redis.call("ZADD", leases, record.lease or "+inf", id)
  redis.call("ZADD", claims .. agent, record.token, id)
  count("assigned", 1)
end

-- assigned, running -> pending
local function end_claim(id, record, due)
  leave_indexes(id, record)
  record.last_agent, record.has_optional = record.agent, true
  record.agent, record.claimed, record.lease, record.listener = nil, nil, nil, nil
  enter_pending(id, record, due)
end
