-- The order of members with equal scores in sorted sets.

-- Whether `a` comes before `b`, byte by byte. Lua's `<` follows the server's locale; sorted sets do not.
local function is_before(a, b)
  if a == b then
    return false
  end
  local i = 1
  while string.byte(a, i) == string.byte(b, i) do
    i = i + 1
  end
  return (string.byte(a, i) or -1) < (string.byte(b, i) or -1)
end
