-- clear_pool: clears away members of a deleted pool; a bounded number of them.
-- KEYS      the pools' keys (pools/pools)
-- ARGV[1]   pool id
-- Reply     {"MORE"} | {"CLEAR"}: nothing is left, or the id is that of a new pool
--@include pools/pools

local id = ARGV[1]
if deleting_call(id) then
  clear(id)
end
return { deleting_call(id) and "MORE" or "CLEAR" }
