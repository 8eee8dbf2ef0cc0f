export default {
  connect: {
    title: 'Connect',
    text: 'Use this server from your editor, your scripts and your tools. It speaks OpenAI’s protocol.',
    address: 'Address',
    snippets: 'Ready to paste',
    snippetsText: 'The address is this server’s.',
    snippetsKey: 'Put your key in place of YOUR_KEY.',
    keyFilled: 'The key you just created is filled in.',
    model: 'Model',
  },
}
