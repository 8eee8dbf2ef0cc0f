const buggy = `def average(numbers):
    total = 0
    for number in numbers:
        total =+ number
    return total / len(numbers)
`

const plain = `def group_by_first_letter(words):
    groups = {}
    for word in words:
        if word[0] in groups:
            groups[word[0]].append(word)
        else:
            groups[word[0]] = [word]
    return groups
`

/** Something to try a task on. */
export const examples: Record<string, string> = {
  explain: plain,
  fix: buggy,
  review: buggy,
  refactor: plain,
  tests: plain,
  document: plain,
  summarise: plain,
  translate: plain,
}
