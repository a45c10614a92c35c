-- audit: holds one key against what the others demand of it; a page of its entries at a time.
-- KEYS      the pools' keys (pools/pools)
-- ARGV[1]   which key: pool, members, admits (of a pool), agent (memberships), deleted (a mark)
-- ARGV[2]   the id that it belongs to
-- ARGV[3]   the place after which to begin, or "-inf"
-- ARGV[4]   the most entries to look at
-- Reply     {"MORE" or "DONE", place of the last entry looked at, kind, detail, kind, detail, …}
--@include pools/pools

local what, id, after, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local reply = { "DONE", after }

local function violation(kind, detail)
  reply[#reply + 1] = kind
  reply[#reply + 1] = detail
end

local function check_pool(pool)
  local is_listed = redis.call("ZSCORE", pools, id)
  if pool and not is_listed then
    violation("missing_entry", "the pool is not in the index of pools")
  elseif is_listed and not pool then
    violation("missing_record", "the index of pools names a pool that is not there")
  end
  local count = redis.call("ZCARD", members .. id)
  if pool and pool.max and count > tonumber(pool.max) then
    violation("too_many_members", int(count) .. " of at most " .. pool.max)
  end
end

local function check_admits(pool)
  if not pool or (pool.admission ~= "whitelist" and pool.admission ~= "token") then
    violation("leftover_key", "a list of whom to admit, for no pool or for one that has none")
  end
end

local function check_deleted(pool)
  if deleting_call(id) then
    local count = int(redis.call("ZCARD", members .. id))
    violation(pool and "deleted_pool" or "unfinished_deletion", count .. " members are there")
  end
end

-- Walks the members of a pool or the memberships of an agent: the other side must have the same score.
local function check_entries(key, mirror, kind)
  local page = redis.call("ZRANGEBYSCORE", key, "(" .. after, "+inf", "WITHSCORES", "LIMIT", 0, most)
  for i = 1, #page, 2 do
    reply[2] = int(tonumber(page[i + 1]))
    if redis.call("ZSCORE", mirror .. page[i], id) ~= page[i + 1] then
      violation(kind, page[i])
    end
  end
  reply[1] = #page == 2 * most and "MORE" or "DONE"
end

local pool = what ~= "agent" and load(id)
if what == "pool" then
  check_pool(pool)
elseif what == "admits" then
  check_admits(pool)
elseif what == "deleted" then
  check_deleted(pool)
elseif what == "members" then
  if not pool and not deleting_call(id) and redis.call("EXISTS", members .. id) == 1 then
    violation("leftover_key", "members of a pool that is not there")
  end
  check_entries(members .. id, memberships, "member_without_membership")
else
  check_entries(memberships .. id, members, "membership_without_member")
end
return reply
