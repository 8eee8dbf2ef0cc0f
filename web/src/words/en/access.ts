export default {
  access: {
    manage: 'Permissions',
    title: (index: string) => `Who may read ${index}`,
    who: 'Who may read it',
    everybody: 'Everybody who signs in',
    some: 'Only these teams and users',
    teams: 'Teams',
    users: 'Users',
    none: 'There are none yet. Add them in Administration.',
    text: 'For everybody else the index does not exist: not in search, not in answers, not by name. Administrators may read all.',
    save: 'Save',
  },
}
