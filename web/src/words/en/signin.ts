export default {
  signIn: {
    title: 'Sign in',
    text: 'Codeweft signs you in with a one-time link; there is no password to forget.',
    steps: 'Get a new link',
    step: 'On the machine where Codeweft runs, type:',
    after: 'It prints a link that works once, for 15 minutes. Open it in this browser.',
    first: 'The first link was printed when the server started.',
    token: 'Or paste the link here',
    open: 'Open link',
    invalid: 'This is not a sign-in link of this server.',
  },
}
